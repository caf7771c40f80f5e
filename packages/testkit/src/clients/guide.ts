/** A guide as tests follow it: its blocks of code to the letter, but for addresses and folders, which are a test's own. */
import { readFileSync } from 'node:fs'

/** A block of code under its heading. */
interface Block {
  readonly heading: string
  readonly language: string
  readonly text: string
}

export class Guide {
  private readonly blocks: readonly Block[]
  private readonly taken = new Set<Block>()

  /** @param page its path; by default the guide for those who run Riemann today */
  constructor(private readonly page = 'docs/guides/from-riemann.md') {
    const text = readFileSync(page, 'utf8')
    let heading = ''
    const found: Block[] = []
    for (const [, title, language, code] of text.matchAll(/^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```$/gms)) {
      if (title !== undefined) heading = title
      else found.push({ heading, language, text: code })
    }
    this.blocks = found
  }

  /**
   * The only block of a language under a heading, or the one of several that has a text in it.
   * @throws Error where there is none, or more than one
   */
  block(heading: string, language: string, having = ''): string {
    const all = this.blocks.filter(
      (block) => block.heading === heading && block.language === language && block.text.includes(having),
    )
    if (all.length !== 1)
      throw new Error(
        `${this.page} has ${all.length} blocks of ${language} with "${having}" under "${heading}", not one.`,
      )
    this.taken.add(all[0])
    return all[0].text
  }

  /** The blocks that nobody took: the language and the first line of each. */
  get left(): readonly string[] {
    return this.blocks
      .filter((block) => !this.taken.has(block))
      .map(({ language, text }) => `${language} ${text.split('\n')[0]}`)
  }
}
