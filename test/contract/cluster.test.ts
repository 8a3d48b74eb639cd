/** The Redis bus sits the exam of the port on a cluster of three nodes. */
import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import type { Bus, BusOptions } from '../../engine/bus/bus.ts';
import { openRedisBus } from '../../engine/bus/redis/bus.ts';
import { TestCluster } from '../support/cluster.ts';
import { busExam } from './exam.ts';

const cluster = await TestCluster.start();
console.log(`# Redis ${cluster.version}, a cluster of three`);
after(() => cluster.stop());

busExam('the bus on a Redis Cluster', async (options: BusOptions = {}) => {
  const prefix = `exam-${randomBytes(6).toString('hex')}`;
  const open = (): Promise<Bus> => openRedisBus(cluster.url, { ...options, prefix });
  let bus = await open();
  return {
    bus,
    reopen: async () => {
      await bus.close();
      bus = await open();
      return bus;
    },
    close: async () => {
      await bus.close();
      await cluster.removeKeys(prefix);
    },
  };
});
