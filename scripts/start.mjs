// `npm start`: install and build on the first run, then `ricci dev` in this very process, so that signals reach it.
import { pathToFileURL } from 'node:url'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled('product')
const { buildProduct } = await import('./product.mjs')
const main = await buildProduct()
process.argv.splice(2, 0, 'dev', '--directory', root)
await import(pathToFileURL(main).href)
