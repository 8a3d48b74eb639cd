import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largestWindow, nextWindow } from '../../engine/core/window.ts';

test('a window that drains at once doubles up to a bound, one that drains slowly falls back to the concurrency', () => {
  let window = 16;
  for (let at = 0; at < 20; at += 1) window = nextWindow(window, 16, 1);
  assert.equal(window, largestWindow);
  for (let at = 0; at < 20; at += 1) window = nextWindow(window, 16, 1_000);
  assert.equal(window, 16);
  assert.equal(nextWindow(64, 16, 100), 64);
});
