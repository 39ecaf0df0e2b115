# Tests of a shop that has none: writes what a test runner would.
mkdir -p out
failures=0
[ ! -e broken ] || [ "$SHARD" != 2 ] || failures=1
{
  echo '<?xml version="1.0" encoding="UTF-8"?>'
  echo "<testsuites><testsuite name=\"shop $SHARD\" tests=\"3\" failures=\"$failures\" time=\"1.5\">"
  echo '<testcase classname="shop.basket" name="adds one" time="0.5"/>'
  echo '<testcase classname="shop.basket" name="removes one" time="0.5"/>'
  if [ "$failures" = 1 ]; then
    echo '<testcase classname="shop.till" name="sells an umbrella" time="0.5">'
    echo '<failure message="AssertionError: 2 != 3">till.py:12: in test_sell</failure></testcase>'
  else
    echo '<testcase classname="shop.till" name="sells an umbrella" time="0.5"/>'
  fi
  echo '</testsuite></testsuites>'
} >out/junit.xml
for i in $(seq 1 40); do echo "test $i of shard $SHARD: ok"; done
if [ "$failures" = 1 ]; then
  printf '\033[31mFAILED\033[0m shop.till: sells an umbrella\n'
  echo 'AssertionError: 2 != 3'
  exit 1
fi
