/** Device that the tests of ops run on: CALLGRAD_TEST_DEVICE, else the cpu. */
export const testDevice: string = process.env['CALLGRAD_TEST_DEVICE'] ?? 'cpu'
