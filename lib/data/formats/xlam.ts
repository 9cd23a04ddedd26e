import { checkText, type RecordReader, readCalls, readTools, stringField } from './fields.js'

/** xLAM's format: `{id, query, tools, answers}`, tools and answers as JSON text or as plain lists. */
export const readXlam: RecordReader = (record, id) => {
  const content = checkText(stringField(record, 'query'), '"query"')
  const tools = readTools(record.get('tools'))
  const calls = readCalls(record.get('answers'), 'answers')
  return [{ id, source: 'xlam', turns: [{ role: 'user', content }], tools, calls }]
}
