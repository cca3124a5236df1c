#!/bin/sh
# How long to train, for docs/protocol.md: judged on FER+'s public test images, which no reported result is, with a seed of its own.
set -e
out=${1:-results/choose}
for epochs in 12 24; do
  python -m benchmark run --dataset ferplus@10k --set ferplus.evaluate_on=public --methods ce,rul --noise-kind human \
    --seed 100 --epochs $epochs --out "$out/ferplus-$epochs"
  python -m benchmark run --dataset cifar10@10k --methods ce,rul --noise 20 --validation 10 \
    --seed 100 --epochs $epochs --out "$out/cifar10-$epochs"
done
