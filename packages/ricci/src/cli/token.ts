import { randomBytes } from 'node:crypto'
import { Command, Option } from 'commander'
import { roles, type Role } from '../access/role.ts'
import { hashOf, newSecret, tokenNameError, tokenNamePattern } from '../access/token.ts'
import type { NewToken, TokenView } from '../access/tokens.ts'
import type { Told } from '../access/access.ts'
import { parseDuration } from '../config/units.ts'
import { withExamples } from './examples.ts'
import { askJson, tell, urlOption } from './api.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
  readonly why?: string
}

interface CreateOptions extends Options {
  readonly role: Role
  readonly expires?: string
  readonly offline?: true
}

/** `ricci token …`: who may do what over HTTP. */
export function tokenCommand(surroundings: Surroundings): Command {
  const { write, complain } = surroundings
  const command = new Command('token').description('make, list and revoke tokens: who may do what over HTTP')
  const sub = (name: string, description: string): Command =>
    command.command(name).description(description).addOption(outputOption()).addOption(urlOption())

  withExamples(
    sub('create', 'make a token; it is printed once, and nobody can show it again'),
    ['ricci token create deploy --role operator --expires 90d', 'ricci token create grafana --role viewer --offline'],
    'A viewer reads, an operator deals with incidents besides, an admin with the servers.',
  )
    .argument('<name>', 'who it is for, as the audit names them')
    .addOption(new Option('--role <role>', 'what it may').choices(roles).makeOptionMandatory())
    .option('--expires <duration>', 'it holds for so long, like 12h or 90d; without it until it is revoked')
    .option('--why <text>', 'for the audit')
    .option('--offline', 'ask no server: print a token, and the lines for the configuration by which it holds')
    .action(async (name: string, { url, output, role, expires, why, offline }: CreateOptions) => {
      if (!tokenNamePattern.test(name))
        throw new CommandError(ExitCode.usage, `"${name}" is no name: ${tokenNameError}`)
      if (offline === true) {
        if (expires !== undefined)
          throw new CommandError(
            ExitCode.usage,
            'a token of the configuration holds until it is taken out there: leave --expires away',
          )
        return print(offlineToken(name, role), output)
      }
      const expiresInMs = expires === undefined ? undefined : durationOf(expires)
      const made = await tell<NewToken & Told>(url, '/api/v1/tokens', { name, role, expiresInMs, why })
      if (output === 'json') return write(`${JSON.stringify(made)}\n`)
      write(`${made.token}\n`)
      const until = made.expiresAtMs === undefined ? 'until it is revoked' : `until ${dateOf(made.expiresAtMs)}`
      complain(`Keep it now, it is not shown again. It is of role ${role} and holds ${until}.\n`)
      complainOf(made.unreached, 'do not know it yet')
    })
  withExamples(sub('list', 'list the tokens, without their secrets'), ['ricci token list']).action(
    async ({ url, output }: Options) => {
      const { tokens } = await askJson<{ tokens: TokenView[] }>(url, '/api/v1/tokens', {})
      if (output === 'json') write(`${JSON.stringify(tokens)}\n`)
      else if (tokens.length === 0) complain('There is no token; ricci token create makes one.\n')
      else write(tokensTable(tokens))
    },
  )
  withExamples(sub('revoke', 'refuse a token from now on, at every instance'), [
    "ricci token revoke deploy --why 'it stood in a build log'",
  ])
    .argument('<name>')
    .option('--why <text>', 'for the audit')
    .action(async (name: string, { url, output, why }: Options) => {
      const answer = await tell<Told>(url, `/api/v1/tokens/${encodeURIComponent(name)}/revoke`, { why })
      if (output === 'json') write(`${JSON.stringify(answer)}\n`)
      else complain(`${name} is refused from now on.\n`)
      complainOf(answer.unreached, 'accept it until then')
    })
  return withExamples(command, ['ricci token create deploy --role operator --expires 90d', 'ricci token list'])

  function complainOf(unreached: readonly string[], meanwhile: string): void {
    if (unreached.length === 0) return
    complain(`${unreached.join(', ')} could not be told, and learn of it once reached; they ${meanwhile}.\n`)
  }

  function print(
    made: { readonly token: string } & Record<'name' | 'role' | 'sha256', string>,
    output: OutputFormat,
  ): void {
    if (output === 'json') return write(`${JSON.stringify(made)}\n`)
    write(`${made.token}\n`)
    const { name, role, sha256 } = made
    complain(`It holds once this stands in the configuration of all instances, and they were started again:\n\n`)
    complain(`http:\n  tokens:\n    - name: ${name}\n      role: ${role}\n      sha256: ${sha256}\n`)
  }
}

function offlineToken(name: string, role: Role) {
  const token = newSecret(randomBytes)
  return { name, role, token, sha256: hashOf(token) }
}

function durationOf(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms < 60_000)
    throw new CommandError(
      ExitCode.usage,
      `"${text}" is no time for a token to hold; write it like 12h or 90d, at least 1m`,
    )
  return ms
}

function dateOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace('T', ' ') + ' UTC'
}

function tokensTable(tokens: readonly TokenView[]): string {
  return table(
    ['NAME', 'ROLE', 'STATE', 'FROM', 'MADE', 'BY', 'EXPIRES', ''],
    tokens.map(({ name, role, state, from, createdAtMs, createdBy, expiresAtMs, revoked }) => [
      ...[name, role, state, from],
      from === 'command' && createdAtMs !== undefined ? dateOf(createdAtMs) : '',
      from === 'command' ? (createdBy ?? '') : '',
      expiresAtMs === undefined ? '' : dateOf(expiresAtMs),
      revoked === undefined
        ? ''
        : `revoked ${dateOf(revoked.atMs)} by ${revoked.by}${revoked.why && `: ${revoked.why}`}`,
    ]),
  )
}
