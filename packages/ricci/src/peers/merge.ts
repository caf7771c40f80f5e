/** Answers of several engines as one: pages as they come, or in the order that the query asks for, cut where there are enough events. */
import { decodeEvent, MsgWriter, type Event } from '@ricci/client'
import { compareSorted, sortValuesOf, type SortKey, type SortValues } from '@ricci/engine'
import { jsonWriters } from '../server/json.ts'
import { betweenTexts, type AnswerForm } from '../server/worker-protocol.ts'
import { asTheyCome, leave } from './as-they-come.ts'
import { eventsIn, headOf } from './event-bounds.ts'

/** Begins to give pages; leaving them early ends it. */
export type PageSource = () => AsyncIterable<Uint8Array>

/** What a merged answer is made of. */
export interface Merge {
  /** As the sources give them: always Msg fields where they are to be sorted. */
  readonly sources: readonly PageSource[]
  readonly sort: readonly SortKey[] | undefined
  readonly form: AnswerForm
  readonly limit: number | undefined
  /** Told, where a sorted answer ends at the limit and there is more, what its last event is sorted by. */
  readonly onCut?: (last: SortValues) => void
  /** Sources that give pages at a time, where nothing is sorted; the others have not begun. */
  readonly atOnce: number
}

/** The form to ask of sources whose answers are merged into another one. */
export function formOfSources(sort: readonly SortKey[] | undefined, form: AnswerForm): AnswerForm {
  return sort === undefined ? form : 'msg'
}

/** The pages of all sources. The first error of any of them ends it. */
export function merged({ sources, sort, form, limit, onCut, atOnce }: Merge): AsyncIterable<Uint8Array> {
  if (sort !== undefined) return inOrder(sources, sort, form, limit ?? Infinity, onCut)
  const pages = sources.length === 1 ? sources[0]() : asTheyCome(sources, atOnce)
  return limit === undefined ? pages : cut(pages, limit, form)
}

async function* cut(pages: AsyncIterable<Uint8Array>, limit: number, form: AnswerForm): AsyncGenerator<Uint8Array> {
  let left = limit
  if (left === 0) return
  for await (const page of pages) {
    const { head, count } = headOf(page, left, form)
    yield head
    left -= count
    if (left === 0) return
  }
}

type Pages = AsyncIterator<Uint8Array>

/** Events of one page of a merged answer: as many as of an engine's. */
const sortedPage = 2_000

async function* inOrder(
  sources: readonly PageSource[],
  sort: readonly SortKey[],
  form: AnswerForm,
  limit: number,
  onCut?: (last: SortValues) => void,
): AsyncGenerator<Uint8Array> {
  const compare = compareSorted(sort)
  const all = sources.map((begin) => new SortedEvents(begin()[Symbol.asyncIterator](), sort))
  try {
    await Promise.all(all.map((one) => one.next()))
    let rest = all.filter((one) => !one.over)
    let last: SortValues = []
    for (let left = limit; left > 0 && rest.length > 0;) {
      const page = new PageOfEvents(form)
      while (left > 0 && rest.length > 0 && page.count < sortedPage) {
        const first = rest.reduce((a, b) => (compare(b.values, a.values) < 0 ? b : a))
        page.add(first)
        last = first.values
        left--
        if (first.step()) continue
        await first.next()
        if (first.over) rest = rest.filter((one) => one !== first)
      }
      if (left === 0 && rest.length > 0) onCut?.(last)
      yield page.finish()
    }
  } finally {
    leave(all.map(({ pages }) => pages))
  }
}

/** A sorted answer, event by event. */
class SortedEvents {
  over = false
  page: Uint8Array = new Uint8Array()
  event: Event = {}
  values: SortValues = []
  private bounds: number[] = []
  private at = 0

  constructor(
    readonly pages: Pages,
    private readonly sort: readonly SortKey[],
  ) {}

  get start(): number {
    return this.bounds[this.at]
  }

  get end(): number {
    return this.bounds[this.at + 1]
  }

  /** Goes to the next event of the page; false when it has no more. */
  step(): boolean {
    this.at += 2
    return this.load()
  }

  /** Goes to the first event of the next page, or is over. */
  async next(): Promise<void> {
    do {
      const step = await this.pages.next()
      if (step.done === true) {
        this.over = true
        return
      }
      this.page = step.value
      this.bounds = eventsIn(this.page)
      this.at = 0
    } while (!this.load())
  }

  private load(): boolean {
    if (this.at >= this.bounds.length) return false
    this.event = decodeEvent(this.page.subarray(this.start, this.end))
    this.values = sortValuesOf(this.sort, this.event)
    return true
  }
}

/** A page that is put together of events. */
class PageOfEvents {
  count = 0
  private readonly writer = new MsgWriter()
  private readonly texts: string[] = []

  constructor(private readonly form: AnswerForm) {}

  add({ page, start, end, event }: SortedEvents): void {
    this.count++
    if (this.form === 'msg') this.writer.rawEvent(page, start, end)
    else this.texts.push(jsonWriters[this.form](event))
  }

  finish(): Uint8Array {
    return this.form === 'msg' ? this.writer.finish() : Buffer.from(this.texts.join(betweenTexts))
  }
}
