/** What is wrong with an expression: at load, with its place, and where it meets an event. */

/** Why a text is no expression, and where in it: UTF-16 units from its start. */
export interface ExpressionFault {
  readonly kind: 'syntax' | 'meaning';
  readonly message: string;
  readonly start: number;
  readonly end: number;
  readonly help: string | undefined;
}

/** Thrown where an expression meets an event that it has no answer for. Its message holds no value of the event. */
export class ExpressionError extends Error {}

/** Ends a compilation. */
export class Refused extends Error {
  readonly fault: ExpressionFault;
  constructor(fault: ExpressionFault) {
    super(fault.message);
    this.fault = fault;
  }
}

export function refuse(node: { start: number; end: number }, message: string, help?: string): never {
  throw new Refused({ kind: 'meaning', message, start: node.start, end: node.end, help });
}
