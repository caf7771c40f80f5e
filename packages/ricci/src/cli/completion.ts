/** Shell completion, made of the commands themselves each time it is asked for: a new flag is completed as soon as it is there. */
import { Argument, Command, type Option } from 'commander'
import { withExamples } from './examples.ts'
import type { Surroundings } from './surroundings.ts'

/** What can follow the words of a command. */
interface Place {
  /** Words of the command behind `ricci`, each after a `/`. */
  readonly path: string
  readonly commands: readonly Word[]
  readonly options: readonly Word[]
  /** By option, the values that it takes; empty where it takes what nobody can list. */
  readonly values: readonly { readonly flags: readonly string[]; readonly choices: readonly string[] }[]
}

interface Word {
  readonly text: string
  readonly description: string
}

const shells = { bash, zsh, fish } as const

/** @param tree all commands */
export function completionCommand(surroundings: Surroundings, tree: () => Promise<Command>): Command {
  const command = new Command('completion')
    .description('print what makes a shell complete commands and flags')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(shells)))
    .action(async (shell: keyof typeof shells) => {
      surroundings.write(shells[shell](placesOf(await tree(), '')))
    })
  return withExamples(
    command,
    [
      `echo 'source <(ricci completion bash)' >> ~/.bashrc`,
      `echo 'source <(ricci completion zsh)' >> ~/.zshrc`,
      'ricci completion fish > ~/.config/fish/completions/ricci.fish',
    ],
    'Each new shell asks the ricci that is installed then; for fish, write the file again after an update.',
  )
}

function placesOf(command: Command, path: string): Place[] {
  const { commands } = command
  const flags = command.options.filter(({ hidden }) => !hidden)
  const place: Place = {
    path,
    commands: commands.map((sub) => ({ text: sub.name(), description: sub.description() })),
    options: [
      ...flags.map((option) => ({ text: option.long ?? option.short ?? '', description: option.description })),
      { text: '--help', description: 'show what it does and takes' },
    ],
    values: flags
      .filter((option) => option.required || option.optional)
      .map((option) => ({ flags: flagsOf(option), choices: option.argChoices ?? [] })),
  }
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
  const self = { ...place, commands: [...place.commands, ...choices.map((text) => ({ text, description: '' }))] }
  return [self, ...commands.flatMap((sub) => placesOf(sub, `${path}/${sub.name()}`))]
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined)
}

/** Within single quotes of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Which command the words before say, in bash and zsh: others are arguments. */
function walk(places: readonly Place[], words: string): string {
  const paths = places.flatMap(({ path }) => (path === '' ? [] : [quoted(path)])).join('|')
  return `  for word in ${words}; do
    case "$at/$word" in
      ${paths}) at="$at/$word" ;;
    esac
  done`
}

/** What is listed where, in bash and zsh. @param list writes words as the shell's own list */
function cases(places: readonly Place[], list: (words: readonly Word[]) => string): string {
  const lines: string[] = []
  for (const { path, values } of places) {
    for (const { flags, choices } of values) {
      const words = choices.map((text) => ({ text, description: '' }))
      lines.push(`    ${flags.map((flag) => quoted(`${path} ${flag}`)).join('|')}) ${list(words)} ;;`)
    }
  }
  // what is no option's value: flags where one is begun, else commands
  for (const { path, commands, options } of places) {
    lines.push(`    ${quoted(`${path} `)}*)`)
    lines.push(`      case "$cur" in -*) ${list(options)} ;; *) ${list(commands)} ;; esac ;;`)
  }
  return `  case "$at $prev" in\n${lines.join('\n')}\n  esac`
}

function bash(places: readonly Place[]): string {
  const list = (words: readonly Word[]): string => `list=${quoted(words.map(({ text }) => text).join(' '))}`
  return `# completes ricci in bash: source <(ricci completion bash)
_ricci() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at= word list=
${walk(places, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
${cases(places, list)}
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -o default -F _ricci ricci
`
}

function zsh(places: readonly Place[]): string {
  // a colon would end the word
  const item = ({ text, description }: Word): string => quoted(`${text.replaceAll(':', '\\:')}:${description}`)
  const list = (words: readonly Word[]): string => `list=(${words.map(item).join(' ')})`
  return `#compdef ricci
# completes ricci in zsh: source <(ricci completion zsh), after compinit
_ricci() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}" at= word
  local -a list
${walk(places, '"${(@)words[2,CURRENT-1]}"')}
${cases(places, list)}
  if (( \${#list} )); then _describe ricci list; else _files; fi
}
compdef _ricci ricci
`
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, commands, options, values }) => {
    const words = path.split('/').slice(1)
    const deeper = commands.map(({ text }) => text)
    const conditions = [
      ...words.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(deeper.length > 0 ? [`not __fish_seen_subcommand_from ${deeper.join(' ')}`] : []),
    ]
    const when = conditions.length === 0 ? '' : ` -n ${quoted(conditions.join('; and '))}`
    const described = (description: string): string => (description === '' ? '' : ` -d ${quoted(description)}`)
    return [
      ...commands.map(({ text, description }) => `complete -c ricci${when} -f -a ${text}${described(description)}`),
      ...options.map(({ text, description }) => {
        const { choices = undefined } = values.find(({ flags }) => flags.includes(text)) ?? {}
        const takes = choices === undefined ? '' : choices.length === 0 ? ' -r' : ` -x -a ${quoted(choices.join(' '))}`
        return `complete -c ricci${when} -l ${text.replace(/^--/, '')}${takes}${described(description)}`
      }),
    ]
  })
  return `# completes ricci in fish\n${lines.join('\n')}\n`
}
