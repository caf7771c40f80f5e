/** How the types of rules are checked, here and in their author's editor: each of these is the same by the compiler's interface and in a tsconfig.json. */
export const rulesCompilerOptions = {
  types: [] as string[],
  strict: true,
  // what is wrong is an error; what has no type is its author's business
  noImplicitAny: false,
  allowJs: true,
  allowImportingTsExtensions: true,
  resolveJsonModule: true,
  skipLibCheck: true,
  noEmit: true,
}
