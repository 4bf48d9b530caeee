# SPDX-License-Identifier: Apache-2.0
# 200 steps at 8, 4 and 2 bits from five starts: nothing is ever infinite or no number, no step is
# taken back, and the loss falls.
. "$PRELUDE"
make_data
make_model
for bits in w8a8 w4a4 w2a2; do
    for seed in 0 1 2 3 4; do
        run=$bits-$seed
        quiet train $run epochs=25 batch=2 quantize=$bits seed=$seed close_mosaic=0
        grep -i 'nan\|inf' runs/$run/results.csv
        grep 'not finite' runs/$run/train.log
        awk -F, -v run=$run 'NR == 2 { first = $3 + $4 + $16 } NR == 26 { last = $3 + $4 + $16 }
            END { if (!(last < first)) print run ": the loss went from " first " to " last }' runs/$run/results.csv
    done
    echo "$bits: trained"
done
