# Asks the model what customers ask.
for question in "What does an umbrella cost?" "Is it waterproof?" "Can I send it back?"; do
  wget -q -O - \
    --header "authorization: Bearer $OPENAI_API_KEY" --header "content-type: application/json" \
    --post-data "{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"$question\"}],\"max_tokens\":200}" \
    "$OPENAI_BASE_URL/chat/completions"
  echo
done
