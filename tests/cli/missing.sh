# SPDX-License-Identifier: Apache-2.0
# Files that are not there: exit 3 and their name.
. "$PRELUDE"
make_data
make_model
fails 3 nibble cost model=nothing.yaml
fails 3 nibble cost model=nothing.safetensors
fails 3 nibble inspect model=nothing.safetensors
fails 3 nibble train model=tiny.yaml data=nothing.yaml
fails 3 nibble train model=tiny.yaml data=data/data.yaml settings=nothing.yaml
fails 3 nibble train model=tiny.yaml data=data/data.yaml pretrained=nothing.safetensors verbose=0
fails 3 nibble train resume=nothing
fails 3 nibble train resume=nothing/weights/last.safetensors
fails 3 nibble train resume
fails 3 nibble val model=nothing.safetensors data=data/data.yaml
fails 3 nibble predict model=tiny.yaml source=nothing.jpg verbose=0
fails 3 nibble predict model=tiny.yaml source=nothing/*.jpg verbose=0
fails 3 nibble predict model=tiny.yaml source=data/labels verbose=0
fails 3 nibble parity model=tiny.yaml source=nothing.jpg verbose=0
fails 3 nibble eval detections=d.json annotations=a.json
fails 3 nibble data check data=nothing.yaml
fails 3 nibble data split images=nothing
fails 3 nibble val model=tiny.yaml data=data/data.yaml split=test verbose=0
fails 3 nibble train model=tiny.yaml data=data/data.yaml settings=data
printf 'train: none\nval: none\nnc: 1\n' >gone.yaml
fails 3 nibble data check data=gone.yaml
