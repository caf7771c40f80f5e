/** What the engine fails with; see EngineError. */
export type EngineErrorCode =
  | 'RECORD_UNKNOWN'
  | 'RECORD_MALFORMED'
  | 'SNAPSHOT_UNREADABLE'
  | 'RULES_INVALID'
  | 'QUERY_SYNTAX'
  | 'QUERY_REGEX'
  | 'ANSWER_GONE'
  | 'CURSOR_INVALID'
  | 'FOLD_FAILED'
  | 'SETTING_INVALID'
  | 'TEXTS_FULL'

/** What the engine refuses, with a stable code and a sentence that says what to do. Never thrown for what an event holds. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  constructor(
    readonly code: EngineErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What was thrown, in words that are the same everywhere. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'something was thrown that is no error'
}
