#!/bin/sh
# Makes the package's weights again, from the top of a checkout with its history: training/instruments/repeat.sh FOLDER
# Five minutes of drawing and ten of training on one free core; the same machine gives the same bits.
set -e
folder=$1
mkdir -p "$folder"
export OMP_NUM_THREADS=1
git show 5239861:endogs/priors/instruments/instruments.safetensors > "$folder/before.safetensors"
python -m training.instruments.make_bank "$folder/bank" --count 4000 --seed 1
python -m training.instruments.train "$folder/bank" "$folder/after.safetensors" \
    --start "$folder/before.safetensors" --steps 1600 --batch 8 --rate 1.5e-3 --seed 1
python -m training.instruments.average "$folder/before.safetensors" "$folder/after.safetensors" \
    "$folder/instruments.safetensors"
