// How the official code compares a call with the right one, API by API (DAMO-ConvAI/api-bank, `apis/*.py`, Apache-2.0): what
// `check_api_call_correctness` looks at, and what of `call` decides about its result. Written down as data, so that no database is needed:
// of a right call that the databases accept, an equal call has the same result.

/** How one argument is compared. */
export type Comparison =
  | 'exact'
  /** Without surrounding space. */
  | 'trim'
  | 'lower'
  | 'upper'
  /** Of the words of both texts more than half are shared. */
  | 'overlap'
  | 'overlap-lower'
  /** Anything but nothing. */
  | 'filled'
  | 'any'
  /** A token that some user has. */
  | 'token'
  | 'date'
  | 'time'
  /** Month and day. */
  | 'day'
  | 'formula'
  /** An address that the executor's pattern takes, in lower case. */
  | 'address'
  /** `_` is a space. */
  | 'title'
  /** Names and values, in any order. */
  | 'records'

export interface ApiRule {
  /** By argument; the others are compared exactly. */
  compare?: Readonly<Record<string, Comparison>>
  /** Arguments that may be left out, by the executor's signature. */
  optional?: readonly string[]
  /** Why the official code accepts no call of this API. */
  never?: string
}

const remembered = { content: 'overlap-lower', token: 'token' } as const
const meeting = { meeting_topic: 'overlap' } as const
const health = { user_id: 'upper' } as const

export const apiRules: Readonly<Record<string, ApiRule>> = {
  AddAgenda: { compare: { content: 'overlap', token: 'token' } },
  AddMeeting: { compare: meeting },
  AddReminder: { compare: remembered },
  AppointmentRegistration: { compare: { patient_name: 'trim', date: 'date', doctor_name: 'trim' } },
  Calculator: { compare: { formula: 'formula' } },
  CancelRegistration: { compare: { appointment_id: 'trim' } },
  DeleteAgenda: { compare: { content: 'any', location: 'any' } },
  DeleteMeeting: { never: 'its check reads an argument "time" that the API does not have' },
  DeleteReminder: { compare: { content: 'filled' } },
  DeleteScene: { compare: { name: 'lower' } },
  Dictionary: { never: 'its service is gone' },
  DocumentQA: { compare: { url: 'trim', question: 'trim' } },
  EmergencyKnowledge: { compare: { symptom: 'lower' } },
  ForgotPassword: { optional: ['username', 'email', 'verification_code', 'new_password'] },
  ModifyMeeting: { compare: meeting },
  ModifyRegistration: {
    compare: { appointment_id: 'trim', new_appointment_date: 'date', new_appointment_doctor: 'trim' },
    optional: ['new_appointment_date', 'new_appointment_doctor'],
  },
  PlayMusic: { compare: { music_name: 'lower' } },
  QueryAgenda: { compare: { content: 'overlap' } },
  QueryHealthData: { compare: { ...health, start_time: 'time', end_time: 'time' } },
  QueryHistoryToday: { compare: { date: 'day' } },
  QueryMeeting: { compare: meeting },
  QueryRegistration: { compare: { patient_name: 'trim', date: 'date' } },
  QueryReminder: { compare: { content: 'overlap-lower' } },
  QueryStock: { compare: { stock_code: 'upper', date: 'date' } },
  RecordHealthData: { compare: { ...health, time: 'time', health_data: 'records' } },
  SearchEngine: { never: 'its model is not part of the data' },
  SendEmail: { compare: { receiver: 'address', subject: 'trim', content: 'trim' } },
  SymptomSearch: { compare: { symptom: 'lower' } },
  ToolSearcher: { never: 'its model is not part of the data' },
  Translate: { never: 'its service is gone', optional: ['src_lang'] },
  Wiki: { compare: { keyword: 'title' } },
}
