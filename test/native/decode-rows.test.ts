import { test } from 'uvu'
import { program } from './program.js'

// Which rows a decode step walks together changes what is read and not a bit of what comes out: no op can tell.
program('decode walks rows together whose prompts begin alike', 'cpu_decode_rows_test')

test.run()
