import { Command, InvalidArgumentError } from 'commander'
import type { PlacementView } from '@ricci/replica'
import { ranges, type ClusterStatus, type PartitionPlaces } from '../server/cluster-status.ts'
import { askJson, tell, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { whileWaiting } from './progress.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
}

/** `ricci cluster …`: any instance is asked, and tells of all. */
export function clusterCommand(surroundings: Surroundings): Command {
  const command = new Command('cluster').description('say who keeps what in a cluster, and move it')
  const sub = (name: string, description: string): Command =>
    command.command(name).description(description).addOption(outputOption()).addOption(urlOption())
  const print = (output: OutputFormat, answer: unknown, text: () => string): void =>
    surroundings.write(output === 'json' ? `${JSON.stringify(answer)}\n` : text())
  const status = (url: Target): Promise<ClusterStatus> => askJson<ClusterStatus>(url, '/api/v1/cluster', {})

  withExamples(sub('status', 'say whether all partitions are owned and stood by'), ['ricci cluster status']).action(
    async ({ url, output }: Options) => {
      const answer = await status(url)
      print(output, answer, () => summary(answer))
    },
  )
  withExamples(sub('members', 'list the instances'), ['ricci cluster members']).action(
    async ({ url, output }: Options) => {
      const { members } = await status(url)
      print(output, members, () => membersTable(members))
    },
  )
  withExamples(sub('partitions', 'list who keeps which partition'), ['ricci cluster partitions']).action(
    async ({ url, output }: Options) => {
      const { partitions } = await status(url)
      print(output, partitions, () => partitionsTable(partitions))
    },
  )
  withExamples(sub('explain', 'say who is to keep a partition, who does, and why'), [
    'ricci cluster explain 7',
    'ricci cluster explain --key web',
  ])
    .argument('[partition]', 'its number', partitionNumber)
    .option('--key <cluster>', 'the partition of this cluster of hosts (or of a host without one)')
    .action(async (partition: number | undefined, { url, output, key }: Options & { key?: string }) => {
      if ((partition === undefined) === (key === undefined)) {
        throw new CommandError(ExitCode.usage, 'name a partition, or a cluster of hosts by --key')
      }
      const of: Record<string, string> = key === undefined ? { partition: String(partition) } : { key }
      const view = await askJson<PlacementView>(url, '/api/v1/cluster/explain', of)
      print(output, view, () => explanation(view))
    })
  withExamples(
    sub('drain', 'have an instance give up all it keeps, without a gap: before its machine is taken away'),
    ['ricci cluster drain ricci-b', 'ricci cluster drain ricci-b --undo'],
    'Waits until others keep all of it.',
  )
    .argument('<instance>', 'its name, as ricci cluster members has it')
    .option('--undo', 'take part again')
    .option('--no-wait', 'do not wait until it keeps nothing any more')
    .option('--why <text>', 'for the audit')
    .action(async (instance: string, options: Options & { undo?: true; wait: boolean; why?: string }) => {
      const { url, undo, wait, output, why } = options
      await tell(url, '/api/v1/cluster/drain', { instance, drain: undo !== true, why })
      if (undo === true || !wait) return
      const done = drained(() => status(url), instance)
      print(
        output,
        await whileWaiting(surroundings, `waiting for others to take over`, done),
        () => `${instance} keeps nothing any more.\n`,
      )
    })
  return withExamples(
    command,
    ['ricci cluster status', 'ricci cluster drain ricci-b'],
    'Any instance is asked, and tells of all.',
  )
}

/** How often a drain is looked at. */
const lookMs = 500
/** So often it may be seen not to drain yet. */
const unseenLooks = 20

async function drained(status: () => Promise<ClusterStatus>, instance: string): Promise<ClusterStatus> {
  // whoever is asked learns of it by the store
  for (let looks = 0, seen = false; ; looks++) {
    const answer = await status()
    const member = answer.members.find((each) => each.instance === instance)
    if (member === undefined || member.owning + member.following + member.behind === 0) return answer
    seen ||= member.draining
    if (!member.draining && (seen || looks >= unseenLooks)) {
      throw new CommandError(ExitCode.failed, `${instance} takes part again: somebody undid the drain, or restarted it`)
    }
    if (member.draining && answer.members.every(({ draining }) => draining)) {
      const why = `${instance} keeps what it has: nobody else takes part`
      throw new CommandError(ExitCode.failed, `${why}; start another instance, or undo the drain of one`)
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

function partitionNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a partition is a number, from 0 on.')
  return Number(text)
}

function summary({ members, partitions, instance }: ClusterStatus): string {
  const which = (holds: (places: PartitionPlaces) => boolean): string => {
    const found = partitions.filter(holds)
    return found.length === 0 ? 'none' : `${found.length}: ${ranges(found.map(({ partition }) => partition))}`
  }
  const draining = members.filter((member) => member.draining).map((member) => member.instance)
  return table(
    ['', ''],
    [
      ['members', `${members.length}: ${members.map((member) => member.instance).join(', ')}`],
      ...(draining.length === 0 ? [] : [['draining', draining.join(', ')]]),
      ['partitions', String(partitions.length)],
      ['without an owner', which(({ owning }) => owning.length === 0)],
      ['without a standby', which(({ owning, following }) => owning.length > 0 && following.length === 0)],
      ['as seen by', instance],
    ],
  ).trimStart()
}

function membersTable(members: ClusterStatus['members']): string {
  return table(
    ['INSTANCE', 'ZONE', 'VERSION', 'ADDRESS', 'OWNS', 'STANDS BY', 'BEHIND', ''],
    members.map(({ instance, zone, version, address, draining, owning, following, behind }) => [
      ...[instance, zone ?? '', version, address ?? '', String(owning), String(following), String(behind)],
      draining ? 'draining' : '',
    ]),
  )
}

function partitionsTable(partitions: ClusterStatus['partitions']): string {
  return table(
    ['PARTITION', 'OWNER', 'STANDS BY', 'BEHIND'],
    partitions.map(({ partition, owning, following, behind }) => [
      ...[String(partition), owning.join(', ') || 'none', following.join(', ')],
      Object.entries(behind)
        .map(([instance, standing]) => `${instance} (${standing})`)
        .join(', '),
    ]),
  )
}

function explanation({ partition, owner, why, ranking }: PlacementView): string {
  const rows = ranking.map(({ instance, zone, draining, standing }, place) => [
    ...[draining ? 'drains' : String(place + 1), instance, zone ?? '', standing ?? ''],
  ])
  return [
    `Partition ${partition} is owned by ${owner ?? 'nobody'}.\n`,
    ...(rows.length === 0 ? [] : [table(['PLACE', 'INSTANCE', 'ZONE', 'RUNS IT AS'], rows)]),
    `${why}.\n`,
  ].join('\n')
}
