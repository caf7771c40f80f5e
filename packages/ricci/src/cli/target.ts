/** Whom a command asks, and as whom. */
import { Option, type Command } from 'commander'
import { contextOf } from './contexts.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

/** Servers of which any may be asked, the first that answers; and what is shown to them. */
export interface Target {
  readonly urls: readonly string[]
  readonly token?: string
  /** Who signed their certificates, as PEM text, instead of Node's own. */
  readonly ca?: string
  /** For whom is asked: a note in the audit. */
  readonly user?: string
}

export const defaultUrl = 'http://127.0.0.1:5556'

/** `--url`; the command is given a {@link Target} instead, see {@link settleTarget}. */
export class UrlOption extends Option {
  constructor() {
    super('--url <url>', `the server's API; without it that of the context or of RICCI_URL, else ${defaultUrl}`)
  }
}

/** Commands that ask a server may be told by the name of a context which. */
export function addContextOptions(command: Command): void {
  if (command.options.some((option) => option instanceof UrlOption))
    command.option('--context <name>', 'ask the servers of this context (ricci context list)')
  for (const sub of command.commands) addContextOptions(sub)
}

/** Before a command runs: whom it asks, of all that may say so. @throws CommandError */
export function settleTarget(command: Command, surroundings: Surroundings): void {
  if (!command.options.some((option) => option instanceof UrlOption)) return
  const { url, context } = command.opts<{ url?: string; context?: string }>()
  command.setOptionValue('url', targetOf({ url, context }, surroundings))
}

/** What a header can hold. */
const printableAscii = /^[\x21-\x7e]+$/

/** @throws CommandError */
export function targetOf(
  { url, context }: { readonly url?: string; readonly context?: string },
  { env }: Pick<Surroundings, 'env'>,
): Target {
  if (url !== undefined && context !== undefined)
    throw new CommandError(ExitCode.usage, '--url and --context both say whom to ask; give one of them')
  const user = env.SUDO_USER ?? env.USER ?? env.LOGNAME ?? ''
  const shown = { ...(printableAscii.test(user) && { user }), ...(env.RICCI_TOKEN && { token: env.RICCI_TOKEN }) }
  const address = url ?? (context === undefined ? env.RICCI_URL || undefined : undefined)
  // a context's token is for its own servers
  if (address !== undefined) return { urls: [address], ...shown }
  const found = contextOf(context ?? (env.RICCI_CONTEXT || undefined), env)
  return { urls: [defaultUrl], ...found, ...shown }
}
