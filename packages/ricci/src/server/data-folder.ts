import { RicciError } from '../errors.ts'
import { makeDirectory } from '../log/index.ts'

/** @throws RicciError `CONFIG_INVALID` */
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
