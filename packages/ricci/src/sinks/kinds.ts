import { datadogSinkKind } from './datadog.ts'
import { graphiteSinkKind } from './graphite.ts'
import type { SinkKind } from './kind.ts'
import { riemannSinkKind } from './riemann.ts'

/** Every kind of sink, in the order in which the documentation has them. */
export const sinkKinds = [riemannSinkKind, graphiteSinkKind, datadogSinkKind] as const satisfies readonly SinkKind[]
