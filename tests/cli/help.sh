# SPDX-License-Identifier: Apache-2.0
# Help: of the program, of each verb, by any of the ways people ask for it.
. "$PRELUDE"
run nibble >out
head -3 out
nibble help >asked
run cmp out asked
nibble --help >asked
run cmp out asked
nibble --version | sed 's/[0-9][0-9.]*/N/'
verbs=$(sed -n 's/^  \([a-z]*\) .*/\1/p' out)
for verb in $verbs; do
    nibble "$verb" --help >by_flag || echo "exit $?: $verb --help"
    nibble help "$verb" >by_word || echo "exit $?: help $verb"
    cmp by_flag by_word
    head -1 by_flag | grep -q "^nibble $verb: " || echo "$verb: no head"
    grep -q "^example: nibble $verb" by_flag || echo "$verb: no example"
done
nibble data --help | grep '^  fractions'
