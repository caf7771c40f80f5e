#!/usr/bin/env node
import { elect } from './elect.ts'

process.exitCode = await elect(process.argv.slice(2))
