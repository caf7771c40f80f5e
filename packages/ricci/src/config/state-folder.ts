import { join } from 'node:path'

/** Whose machine it is. */
export interface StateOf {
  readonly root: boolean
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Where what outlives a process is kept where nothing else is said: `/var/lib/ricci` for root, else in the user's own folder for such things (XDG). */
export function stateFolder({ root, env }: StateOf): string {
  return root ? '/var/lib/ricci' : join(env.XDG_STATE_HOME || join(env.HOME || '.', '.local/state'), 'ricci')
}
