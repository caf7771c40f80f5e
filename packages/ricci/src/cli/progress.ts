import type { Surroundings } from './surroundings.ts'

/** Shorter than this nobody wonders. */
const patientMs = 2_000
const everyMs = 1_000

/** Says on standard error, where that is a terminal, what is waited for, once that takes longer than two seconds. */
export async function whileWaiting<T>(
  { attended, complain }: Pick<Surroundings, 'attended' | 'complain'>,
  what: string,
  done: Promise<T>,
): Promise<T> {
  if (attended !== true) return done
  let shown = false
  let seconds = patientMs / 1000
  const show = (): void => {
    shown = true
    complain(`\r${what}: ${seconds++} s …`)
    timer = setTimeout(show, everyMs)
  }
  let timer = setTimeout(show, patientMs)
  try {
    return await done
  } finally {
    clearTimeout(timer)
    if (shown) complain('\r\u001b[K')
  }
}
