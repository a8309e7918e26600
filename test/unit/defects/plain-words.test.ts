import { expect, test } from 'vitest'
import { plainWords } from '../../../src/cli/plain-words.ts'

test.each([
  { text: 'connect ECONNREFUSED 127.0.0.1:1', plain: 'connect ECONNREFUSED 127.0.0.1:1' },
  { text: ' <html>\n  <body>\n who?\n', plain: '<html> <body> who?' },
  {
    text: 'DescribeVpcs: no usable answer: write EPROTO 40FD:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../tlsany_meth.c:77:\n',
    plain: 'DescribeVpcs: no usable answer: it answers without TLS, so its address begins with http://',
  },
])('$text becomes one line', ({ text, plain }) => {
  expect(plainWords(text)).toBe(plain)
})
