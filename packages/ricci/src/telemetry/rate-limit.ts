/** Kinds kept at once; a kind beyond starts anew. Bounds memory when kinds come from outside. */
const maxKinds = 1000

/** Lets at most so many of a kind pass in each window, and counts what it held back. */
export class RateLimit {
  private readonly windows = new Map<string, { startMs: number; passed: number; held: number }>()

  constructor(
    private readonly perWindow: number,
    private readonly windowMs: number,
    private readonly monotonicMs: () => number,
  ) {}

  /** Gives how many were held back since the last one that passed, or -1: this one is held back. */
  pass(kind: string): number {
    const now = this.monotonicMs()
    const window = this.windows.get(kind)
    if (window === undefined || now - window.startMs >= this.windowMs) {
      if (window === undefined && this.windows.size >= maxKinds) this.windows.clear()
      this.windows.set(kind, { startMs: now, passed: 1, held: 0 })
      return window?.held ?? 0
    }
    if (window.passed < this.perWindow) {
      window.passed++
      return 0
    }
    window.held++
    return -1
  }
}
