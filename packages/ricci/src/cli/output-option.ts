import { Option } from 'commander'

export type OutputFormat = 'table' | 'json'

/** `-o table|json`: tables for people, JSON for programs; some can be had for spreadsheets, too. */
export function outputOption(more?: 'csv'): Option {
  const csv = more === undefined ? '' : ', csv for spreadsheets'
  return new Option('-o, --output <format>', `table for people, json for programs${csv}`)
    .choices(['table', 'json', ...(more === undefined ? [] : [more])])
    .default('table')
}
