// Sends the browser on to the provider without a click. Without scripts, the form has a button.
const form = /** @type {HTMLFormElement} */ (document.querySelector('form#leave'))
form.requestSubmit()
