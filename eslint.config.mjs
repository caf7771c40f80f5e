import tseslint from 'typescript-eslint'
import { houseRules } from './scripts/lint-rules.mjs'

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/dist/**', '.build/**', '.ricci/**', '.cache/**'] },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  ...houseRules,
)
