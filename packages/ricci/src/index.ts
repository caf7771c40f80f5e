/**
 * What rules import: every operator, the folds, and the types of their events. Nothing else may stand here: a rule is given exactly
 * these names (`rules/evaluate.ts`), and what it imports beyond them would pass the type check and be undefined when it runs.
 */
export * from '@ricci/engine/vocabulary'
