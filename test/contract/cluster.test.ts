/** The Redis bus sits the exam of the port on a cluster of three nodes. */
import { after } from 'node:test';
import { TestCluster } from '../support/cluster.ts';
import { redisExam } from './exam-redis.ts';

const cluster = await TestCluster.start();
console.log(`# Redis ${cluster.version}, a cluster of three`);
after(() => cluster.stop());

redisExam('the bus on a Redis Cluster', cluster.url, (prefix) => cluster.removeKeys(prefix));
