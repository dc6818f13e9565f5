#!/bin/sh
# Makes the package's weights again, from the top of a checkout with its history: training/instruments/repeat.sh FOLDER
# A quarter of an hour of drawing and half an hour of training on one free core; the same machine gives the same bits.
set -e
folder=$1
mkdir -p "$folder"
export OMP_NUM_THREADS=1
git show 544146e:endogs/priors/instruments/instruments.safetensors > "$folder/before.safetensors"
python -m training.instruments.make_bank "$folder/bank" --count 9000 --seed 21
python -m training.instruments.train "$folder/bank" "$folder/after.safetensors" \
    --start "$folder/before.safetensors" --steps 2500 --until 2000 --batch 12 --rate 1.5e-3 --seed 12
python -m training.instruments.average "$folder/before.safetensors" "$folder/after.safetensors" \
    "$folder/instruments.safetensors"
