#!/bin/sh
# The whole path on a corpus that eSpeak NG speaks: docs/demo.sh MINIKWS FOLDER
set -e
minikws=$1
dir=$2
[ -d "$dir/clips" ] || "$minikws" data synth --words yes,no --out "$dir/clips"
rm -rf "$dir/run"
"$minikws" train --data-dir "$dir/clips" --wanted-words yes,no --silence-percentage 25 \
    --unknown-percentage 25 --steps 3000,1000 --learning-rate 0.001,0.0002 --run-dir "$dir/run"
"$minikws" export "$dir/run" --out "$dir/yes_no.tflite" --c-array g_model
clip=$(find "$dir/clips/yes" -name '*.wav' | sort | head -n 1)
"$minikws" label "$dir/yes_no.tflite" "$clip"
"$minikws" features "$clip" --frontend micro --png --out "$dir/features"
cat <<END

Everything lies in $dir/:
  clips/           the spoken corpus, one folder a word
  run/             checkpoints, metrics.csv, report.json
  yes_no.tflite    the int8 model, for TFLite Micro, LiteRT and minikws
  yes_no.c, .h     the same as a C array
  features/        what the model sees of one clip, as a picture

Try next:
  $minikws info $dir/yes_no.tflite
  $minikws eval $dir/yes_no.tflite --data-dir $dir/clips
  $minikws data check $dir/clips
  and notebooks/01_from_sound_to_word.ipynb
END
