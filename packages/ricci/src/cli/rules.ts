/** `ricci rules …`: what is in force, what the folder would change, and the switch to it. */
import { Command } from 'commander'
import { describeSwitch } from '../rules/switch-report.ts'
import { ranges } from '../server/cluster-status.ts'
import type { InstanceRules, RulesOverview } from '../server/rules-overview.ts'
import type { RulesPreview } from '../server/rules-switch.ts'
import type { Reload } from '../server/server-rules.ts'
import { askJson, tell, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { whileWaiting } from './progress.ts'
import { describeChecks, describeRules, givenRules } from './rules-check.ts'
import { operatorsText, partitionsText, previewText, resolvedText } from './rules-text.ts'
import type { Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
}

interface ReloadOptions extends Options {
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly why?: string
}

export function rulesCommand(surroundings: Surroundings): Command {
  const command = new Command('rules').description(
    'say which rules are in force, what their folder would change, and switch to it',
  )
  const sub = (name: string, description: string, examples: readonly string[], needs?: string): Command =>
    withExamples(command.command(name).description(description), examples, needs)
  const ofServer = (...given: Parameters<typeof sub>): Command =>
    sub(...given)
      .addOption(outputOption())
      .addOption(urlOption())
  const print = (output: OutputFormat, answer: unknown, text: () => string): void =>
    surroundings.write(output === 'json' ? `${JSON.stringify(answer)}\n` : text())

  sub('check', 'check rules as before a switch, without a server, and change nothing', [
    'ricci rules check',
    'ricci rules check /etc/ricci/rules',
    'ricci rules check ricci.yaml',
  ])
    .argument(
      '[path]',
      'a folder of rules, or the configuration that names them; default: ricci.yaml here, else ./rules',
    )
    .action(async (path: string | undefined) => {
      surroundings.write(await describeRules(givenRules(path).config, surroundings))
    })
  ofServer('status', 'print which rules each instance runs, since when, and whether its folder holds others', [
    'ricci rules status',
  ]).action(async ({ url, output }: Options) => {
    const overview = await askJson<RulesOverview>(url, '/api/v1/rules', {})
    print(output, overview, () => statusText(overview))
  })
  ofServer(
    'diff',
    "print what the server's folder of rules would change, and which open incidents would be over",
    ['ricci rules diff'],
    'Nothing is checked but that they load: ricci rules reload --dry-run does all.',
  ).action(async ({ url, output }: Options) => {
    const asked = askJson<RulesPreview>(url, '/api/v1/rules/diff', {})
    const preview = await whileWaiting(surroundings, 'the rules are loaded beside those in force', asked)
    print(output, preview, () => previewText(preview))
  })
  ofServer(
    'reload',
    "check the server's folder of rules, have every instance load them, and switch to them everywhere",
    ['ricci rules reload --dry-run', 'ricci rules reload'],
    'The server reads its own folder: put the rules there first. Where anything is wrong the old rules run on.',
  )
    .option('--dry-run', 'do all the checks, say what would change, and switch nothing')
    .option('--yes', 'even if more than 10 open incidents resolve, because their rules are gone')
    .option('--why <text>', 'for the audit')
    .action(async ({ url, output, dryRun = false, yes = false, why }: ReloadOptions) => {
      const asked = tell<Reload>(url, '/api/v1/rules/reload', { dryRun, yes, why })
      const reload = await whileWaiting(surroundings, 'the rules are checked, then every instance loads them', asked)
      print(output, reload, () => reloadText(reload, dryRun))
    })
  return withExamples(command, ['ricci rules status', 'ricci rules diff', 'ricci rules reload'])
}

function reloadText({ switched, preview, checks, report }: Reload, dryRun: boolean): string {
  if (preview === undefined) return 'Nothing to switch: rules and settings are those in force.\n'
  const checked = checks === undefined ? '' : describeChecks(checks)
  if (!switched) return `${previewText(preview)}Checked:\n${checked}${dryRun ? 'Nothing was switched.\n' : ''}`
  const what = report === undefined ? 'no engine here has come to them yet: ricci rules status' : describeSwitch(report)
  return [
    `Switched to ${preview.onDisk.slice(0, 12)} in ${partitionsText(preview.partitions)}: ${what}.\n`,
    checked,
    ...resolvedText(preview.resolves, 'resolved'),
  ].join('')
}

function statusText({ instances, operators }: RulesOverview): string {
  const rows = instances.flatMap((one) => rowsOf(one))
  const switches = instances.flatMap(({ instance, partitions }) => {
    const last = partitions.find(({ switched }) => switched !== undefined)
    if (last?.switched === undefined) return []
    return [`${instance} at record ${last.offset} of partition ${last.partition}: ${describeSwitch(last.switched)}\n`]
  })
  const errors = instances.flatMap(({ instance, error }) => (error === undefined ? [] : [`\n${instance}: ${error}\n`]))
  const head = table(['INSTANCE', 'PARTITIONS', 'IN FORCE', 'SINCE', 'FOLDER'], rows)
  const last = switches.length > 0 ? ['\nThe last switch:\n', ...switches] : []
  return [head, ...last, ...errors, operatorsText(operators)].join('')
}

/** A row for each set of rules that an instance runs: mostly one. */
function rowsOf(one: InstanceRules): string[][] {
  const { instance, unknown, partitions } = one
  if (unknown !== undefined) return [[instance, '', '', '', `did not answer: ${unknown}`]]
  const byHash = new Map<string, (typeof partitions)[number][]>()
  for (const partition of partitions) {
    const hash = partition.hash?.slice(0, 12) ?? 'none yet'
    byHash.set(hash, [...(byHash.get(hash) ?? []), partition])
  }
  if (byHash.size === 0) return [[instance, 'none', '', '', folderText(one)]]
  return [...byHash].map(([hash, some]) => [
    instance,
    ranges(some.map(({ partition }) => partition)),
    hash,
    sinceText(some),
    folderText(one),
  ])
}

/** The latest switch of them: since then all of these run the rules. */
function sinceText(partitions: InstanceRules['partitions']): string {
  const times = partitions.flatMap(({ atMs }) => (atMs === undefined ? [] : [atMs]))
  if (times.length > 0) return `${new Date(Math.max(...times)).toISOString().slice(0, 19)}Z`
  const [{ offset, hash }] = partitions
  if (hash === undefined || offset === undefined) return ''
  // what is first in a log knows no time; the switch of another was seen by nobody who is there now
  return offset === 0 ? 'the log began' : `record ${offset}`
}

function folderText({ error, differs, onDisk, folder }: InstanceRules): string {
  if (error !== undefined) return `cannot be switched to: ${error.split('\n')[0]}`
  if (differs.length === 0) return `the same (${folder})`
  const settings = differs.filter((name) => name !== 'rules')
  return [
    ...(differs.includes('rules') ? [`other rules: ${onDisk?.slice(0, 12)} (${folder})`] : []),
    ...(settings.length > 0 ? [`other settings: ${settings.join(', ')}`] : []),
  ].join('; ')
}
