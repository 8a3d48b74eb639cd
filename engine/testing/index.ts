/** For authors of handlers, published as `eventflow/testing`: run one, give it a peer, let it sit the exam. */
export { memoryBus } from './bus.ts';
export { type FakeClock, fakeClock } from './clock.ts';
export { type ExamSubject, handlerExam, type Peer, type Question } from './exam.ts';
export { type HttpSink, httpSink, type SinkAnswer, type SinkRequest } from './http-sink.ts';
export {
  type DeliverySetup,
  type HandlerSetup,
  type LogLine,
  makeEvent,
  type OpenHandler,
  openHandler,
  type RunResult,
  runHandler,
} from './run.ts';
