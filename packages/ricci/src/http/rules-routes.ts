/** Rules over HTTP: what is in force, what the folder would change, and the switch to it. */
import type { FastifyInstance } from 'fastify'
import type { RulesBackend } from './backend.ts'
import { admin, operator, viewer } from './caller.ts'
import * as schemas from './schemas.ts'

export function addRulesRoutes(app: FastifyInstance, rules: RulesBackend): void {
  app.get('/api/v1/rules', { ...viewer, schema: schemas.rules }, async () => rules.status())
  app.get('/api/v1/rules/diff', { ...operator, schema: schemas.rulesDiff }, async () => rules.diff())
  app.post<{ Body: { dryRun?: boolean; yes?: boolean } }>(
    '/api/v1/rules/reload',
    { ...admin, schema: schemas.rulesReload },
    async ({ body: { dryRun, yes } }) => rules.reload({ dryRun, yes }),
  )
}
