import type { ElectionGroup } from './group.ts'
import type { Journal } from './store.ts'
import type { TermJournal } from './term.ts'

/** How many actions are noted in the journal between two times that old ones are removed: a hundred or more each, so that it does not grow. */
const notesPerPrune = 50

/** The group's journal for one name; undefined where its store keeps none. */
export function journalFor(group: ElectionGroup, name: string, keepMs: number): () => TermJournal | undefined {
  let noted = 0
  /** Removes some of what is older than anybody asks for; what is left comes with the next. */
  const prune = (journal: Journal): Promise<unknown> =>
    group.ask((signal) => journal.prune(name, keepMs, signal)).catch(() => undefined)
  return () => {
    const { journal } = group
    if (journal === undefined) return undefined
    return {
      begin: (token, id, attempt) => {
        if (++noted % notesPerPrune === 1) void prune(journal)
        return group.ask((signal) => journal.begin(name, token, id, attempt, signal))
      },
      finish: (id, attempt) => group.ask((signal) => journal.finish(name, id, attempt, signal)),
      withdraw: (id, attempt) => group.ask((signal) => journal.withdraw(name, id, attempt, signal)),
    }
  }
}
