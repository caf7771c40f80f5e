import { RicciError } from '../errors.ts'
import { makeDirectory } from '../log/index.ts'

/** Makes the folder of log and snapshots, if it is not there. @throws RicciError `CONFIG_INVALID` */
export function makeDataFolder(folder: string): void {
  try {
    makeDirectory(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new RicciError(
      'CONFIG_INVALID',
      `the data directory ${folder} cannot be made (${code}); choose one that this user may write`,
      { cause: error },
    )
  }
}
