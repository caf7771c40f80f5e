import { consoleKind } from './console.ts'
import { datadogKind } from './datadog.ts'
import { emailKind } from './email.ts'
import type { ReceiverKind } from './kind.ts'
import { pagerDutyKind } from './pagerduty.ts'
import { slackWebhookKind } from './slack-webhook.ts'
import { slackKind } from './slack.ts'
import { webhookKind } from './webhook.ts'

/** Every kind of receiver, in the order in which the documentation has them. */
export const receiverKinds = [
  consoleKind,
  webhookKind,
  pagerDutyKind,
  slackKind,
  slackWebhookKind,
  emailKind,
  datadogKind,
] as const satisfies readonly ReceiverKind[]
