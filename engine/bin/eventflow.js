#!/usr/bin/env node
// Plain JavaScript, so that a Node that is too old can say so instead of failing on syntax.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`eventflow: expected Node.js 22.22 or later, got ${process.version}: install a newer one`);
  process.exit(78);
}

// In a checkout the sources run as they are; an installed package has been compiled.
const source = new URL('../cli/main.ts', import.meta.url);
if (!import.meta.url.includes('/node_modules/') && existsSync(source)) {
  const { spawnSync } = await import('node:child_process');
  const args = ['--conditions=eventflow-source', fileURLToPath(source), ...process.argv.slice(2)];
  // Taking the place of this process leaves nobody in between who would have to pass on signals.
  if (typeof process.execve === 'function') process.execve(process.execPath, [process.execPath, ...args], process.env);
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 70;
} else {
  await import(new URL('../dist/cli/main.js', import.meta.url).href);
}
