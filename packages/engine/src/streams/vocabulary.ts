/** Every word that rules may use. An operator is a file in `operators/`, named here once. */
export { by } from './operators/by.ts'
export { incident, type IncidentOptions, notify, type NotifyOptions } from './operators/incident.ts'
export { index } from './operators/index.ts'
export { stable } from './operators/stable.ts'
export { tap } from './operators/tap.ts'
export { otherwise, where } from './operators/where.ts'
export { named, rules, type RulesDescription, Stream } from './stream.ts'
