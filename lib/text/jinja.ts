// `@huggingface/jinja` with types: its own declarations import without extensions, which NodeNext does not resolve.

import * as library from '@huggingface/jinja'

/** A node of a parsed template. */
export interface Node {
  type: string
}

export interface Program extends Node {
  body: Node[]
}

/** A value of a running template. */
export interface Result {
  type: string
  value: unknown
}

export interface Environment {
  set(name: string, value: unknown): Result
}

export interface Interpreter {
  run(program: Program): Result
  evaluate(node: Node | undefined, environment: Environment): Result
}

interface Library {
  Environment: new () => Environment
  Interpreter: new (environment: Environment) => Interpreter
  tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown[]
  parse(tokens: unknown[]): Program
}

export const { Environment, Interpreter, tokenize, parse } = library as unknown as Library
