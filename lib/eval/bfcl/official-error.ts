/**
 * Thrown where BFCL's own checker would raise an exception: a type that its tables lack, a value that its loops cannot walk. The official
 * tool stops there; here the question counts as failed and says so.
 */
export class OfficialError extends Error {}
