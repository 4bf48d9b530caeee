# SPDX-License-Identifier: Apache-2.0
# What cases share; they begin with ". $PRELUDE".

# run COMMAND...: what it prints, then its exit code unless that is 0.
run() {
    status=0
    "$@" || status=$?
    [ $status = 0 ] || echo "exit $status"
}

# quiet COMMAND...: must succeed; what it prints is shown only when it does not.
quiet() {
    status=0
    "$@" >.quiet 2>&1 || status=$?
    if [ $status != 0 ]; then
        echo "exit $status: $*"
        cat .quiet
    fi
}

# fails CODE COMMAND...: exits with CODE, says nothing on stdout and one sentence on stderr.
# Messages of a run that had begun (progress=off does not silence them) need verbose=0.
fails() {
    wanted=$1
    shift
    status=0
    "$@" >.stdout 2>.stderr || status=$?
    [ $status = "$wanted" ] || echo "exit $status instead of $wanted: $*"
    [ ! -s .stdout ] || { echo "unexpected on stdout: $*"; cat .stdout; }
    [ "$(wc -l <.stderr)" = 1 ] || echo "expected one line on stderr, found $(wc -l <.stderr): $*"
    cat .stderr
}

# json PATH... -- COMMAND...: stdout must be one JSON object with these keys.
json() {
    keys=
    while [ "$1" != -- ]; do
        keys="$keys $1"
        shift
    done
    shift
    status=0
    "$@" json=1 verbose=0 >.json 2>.stderr || status=$?
    [ $status = 0 ] || { echo "exit $status: $*"; cat .stderr; }
    # shellcheck disable=SC2086
    pick $keys <.json
}

same() { cmp "$1" "$2" && echo "$3: the same bytes"; }

# The data set of the cases: 16 pictures to train on, 8 to validate with.
make_data() {
    quiet nibble data synth out=data imgsz=64 train_images=16 val_images=8 "$@"
}

# A detector that trains in a moment: six layers, stride 16.
make_model() {
    cat >tiny.yaml <<'EOF'
nc: 3
depth_multiple: 1.0
width_multiple: 1.0
use_hardtanh: false
anchors:
  - [10, 10, 18, 18, 30, 30]
bit_width:
  - [8, 4, 4, 8]
backbone:
  - [-1, 1, QuantConv, [8, 3, 2, None, 1, True, True, in_weight_bit_width, act_bit_width]]
  - [-1, 1, nn.MaxPool2d, [2, 2, 0]]
  - [-1, 1, QuantConv, [16, 3, 1, None, 1, True, True, weight_bit_width, act_bit_width]]
  - [-1, 1, nn.MaxPool2d, [2, 2, 0]]
  - [-1, 1, QuantConv, [16, 3, 1, None, 1, True, True, weight_bit_width, act_bit_width]]
head:
  - [-1, 1, QuantSimpleConv, [(nc + 5) * na, 1, 1, None, 1, out_weight_bit_width, act_bit_width, use_hardtanh]]
  - [[5], 1, Detect, [nc, anchors, False, use_hardtanh]]
EOF
}

# The same without anchors: two heads on strides 8 and 16, attention, a large kernel.
make_free_model() {
    cat >free.yaml <<'EOF'
nc: 3
scales:
  n: [1.0, 1.0, 1024]
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, C2f, [16, True]]
  - [-1, 1, SCDown, [32, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 1, PSA, [128]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 3], 1, Concat, [1]]
  - [-1, 1, C2fCIB, [32, True, True]]
  - [[8, 5], 1, v10Detect, [nc]]
EOF
}

# train NAME KEY=VALUE...: a short run into runs/NAME; later keys win.
train() {
    run=$1
    shift
    nibble train model=tiny.yaml data=data/data.yaml imgsz=64 batch=4 epochs=2 plots=0 project=runs \
        name="$run" exist_ok=1 progress=off verbose=0 threads=1 workers=0 "$@"
}
