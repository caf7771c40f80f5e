export type {
  Engine,
  EngineObserver,
  EngineOptions,
  EngineStats,
  OperatorStats,
  Hashes,
  Incidents,
  Ownership,
  QueryOptions,
  QueryPage,
} from './engine.ts'
export type { Skew } from './event/skews.ts'
export type { SilentHosts } from './index/silent-hosts.ts'
export { EngineError, type EngineErrorCode } from './errors.ts'
export type { Attempt, DecisionsObserver, PageAction, PageChanges, PendingPage, SettledPage } from './decisions/page.ts'
export { canBeMember } from './decisions/digests.ts'
export * from './records.ts'
export type { Mutation } from './mutations.ts'
export type { Listed } from './decisions/listing.ts'
export type { CommandResult, CommandStatus } from './decisions/commands.ts'
export { spanText } from './decisions/escalation.ts'
export type { Incident, IncidentDelivery, PageDescription } from './decisions/incident.ts'
export {
  Decisions,
  type DecisionsOptions,
  type DecisionsState,
  deliveryFailedRule,
  ruleQuarantinedRule,
} from './decisions/decisions.ts'
export type { Fold, FoldContext, EventFold, ListFold } from './folds/fold.ts'
export { isFold } from './folds/fold.ts'
export type { EventList } from './folds/list.ts'
export { nonNilMetrics, type SamplePoints } from './folds/statistics.ts'
export { pow } from './folds/pow.ts'
export type { ComparisonOperator, Expression, NumberForm, Operand, Query, SortKey } from './query/ast.ts'
export { QueryCache, queryCacheLimit, type CompiledQuery } from './query/cache.ts'
export { compileExpression, compilePredicate, compileQuery } from './query/compile.ts'
export { QueryError, type QueryFault } from './query/errors.ts'
export type { EventTest } from './query/fields.ts'
export { parsePredicate, parseQuery } from './query/parser.ts'
export { printExpression, printQuery } from './query/print.ts'
export { compareSorted, sortValuesOf, type SortValues } from './query/sort.ts'
export { printText } from './query/text.ts'
export { compileRegex, type CompiledRegex } from './query/regex.ts'
export type { QueryTable } from './query/verdicts.ts'
export type { StatePart } from './state/slices.ts'
export type { StateCut } from './state/writer.ts'
export type { RulesReport } from './streams/tree.ts'
export type { ArgumentChange, RulesDifference } from './streams/compare.ts'
export type { Gate, Judged, Seen, TraceQuestion } from './streams/trace.ts'
export type { Facts, Step } from './streams/trail.ts'
export { checkRules, compareRules } from './trial.ts'
export { createEngine } from './machine.ts'
export type { FlowBatch, FlowHead, FlowPage, FlowPlace, FlowsView } from './flows/flow.ts'
export { engineSemantics, semanticsOf } from './streams/rules-in-force.ts'
export { defaultSettings, type EngineSettings, settingsFrom } from './settings.ts'
export { operators, type Operator } from './streams/operator.ts'
export type { ChangePosition, ChangesOptions, ChangesPage, IndexChange } from './index/changes.ts'
export type { IndexView } from './event/index-view.ts'
export { makingOf } from './streams/stream.ts'
export * from './streams/vocabulary.ts'
