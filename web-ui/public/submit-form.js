// Sends the browser on to the provider without a click. Without scripts, the form has a button.
document.querySelector('form#leave').requestSubmit()
