/** What the terminal around a command can show. What is no terminal is given everything, in one colour. */
import { styleText } from 'node:util'
import { Option } from 'commander'
import type { Surroundings } from './surroundings.ts'

/** What `--color` takes. */
export type Color = 'auto' | 'always' | 'never'

/** Gives a text the colours of a state, as it was or with colours. */
export type Paint = (state: string | undefined, text: string) => string

/** `--color`: for what is piped into a pager that shows them, or a terminal that does not. */
export function colorOption(): Option {
  return new Option('--color <when>', 'colours; auto: on a terminal, unless NO_COLOR is set')
    .choices(['auto', 'always', 'never'])
    .default('auto')
}

/** How states are told apart at a glance. Those that nobody agreed on keep the terminal's own colour. */
const colors: Readonly<Record<string, 'green' | 'yellow' | 'red' | 'gray'>> = {
  ok: 'green',
  warning: 'yellow',
  critical: 'red',
  error: 'red',
  expired: 'gray',
}

/** @see https://no-color.org */
export function painter(when: Color, { interactive, env }: Pick<Surroundings, 'interactive' | 'env'>): Paint {
  const asked = interactive && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  if (when === 'never' || (when === 'auto' && !asked)) return (_state, text) => text
  return (state = '', text) => {
    const color = Object.hasOwn(colors, state) ? colors[state] : undefined
    return color === undefined || text === '' ? text : styleText(color, text, { validateStream: false })
  }
}

/** Columns that a line may take; Infinity where nobody reads it on a terminal. */
export function columnsOf({ interactive, screen }: Pick<Surroundings, 'interactive' | 'screen'>): number {
  return interactive ? (screen?.().columns ?? usualColumns) : Infinity
}

/** Of a terminal that does not say. */
const usualColumns = 80

const home = '\u001b[H'
const eraseLine = '\u001b[K'
const eraseBelow = '\u001b[J'

/** A text that takes the place of the one before on the terminal, without a flicker. */
export function redrawn(text: string): string {
  return `${home}${text.replaceAll('\n', `${eraseLine}\n`)}${eraseBelow}`
}
