/** The embedded bus sits the exam, on a file and in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BusOptions } from '../../engine/bus/bus.ts';
import { openSqliteBus } from '../../engine/bus/sqlite/bus.ts';
import { busExam, type ExamBus } from './exam.ts';

async function onFile(options?: BusOptions): Promise<ExamBus> {
  const folder = await mkdtemp(join(tmpdir(), 'eventflow-bus-'));
  const url = `sqlite:${join(folder, 'deep', 'bus.db')}`;
  let bus = await openSqliteBus(url, options);
  return {
    bus,
    async reopen() {
      await bus.close();
      bus = await openSqliteBus(url, options);
      return bus;
    },
    async close() {
      await bus.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function inMemory(options?: BusOptions): Promise<ExamBus> {
  const bus = await openSqliteBus('sqlite::memory:', options);
  return { bus, close: () => bus.close() };
}

busExam('the embedded bus on a file', onFile);
busExam('the embedded bus in memory', inMemory);
