import { CommandError, ExitCode } from './surroundings.ts'

/** A port from the command line. @throws CommandError */
export function portOf(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new CommandError(ExitCode.usage, `"${text}" is no port; write a number from 0 to 65535`)
  }
  return Number(text)
}
